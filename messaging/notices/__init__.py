"""What tells users of texts that they have not read: on the page, by push, and by mail."""
