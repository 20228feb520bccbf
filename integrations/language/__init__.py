"""The template language: one JSON document describes one messaging provider; plain Python, no Django."""
