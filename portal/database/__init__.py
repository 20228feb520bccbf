"""The only package that distinguishes databases: SQL dialect, bulk statements, and locks."""
