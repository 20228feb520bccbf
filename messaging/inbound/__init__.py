"""In: the events of committed webhooks become messages and statuses, and their media is fetched."""
