"""Imports and exports of lists: tables in files, kinds of rows, and the work of the task."""
