"""Where a document is written: its page, and the editor in JavaScript beside it."""
