"""Every statement that the ORM does not write: the queue, its limits, and what is written in batches."""
