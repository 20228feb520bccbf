"""What the ORM does not do, or not fast enough: statements for many rows, time, and locks."""
