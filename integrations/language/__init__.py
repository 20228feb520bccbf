"""The template language: one JSON document describes one messaging service; plain Python, no Django."""
