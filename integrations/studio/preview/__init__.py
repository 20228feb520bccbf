"""What a template makes of a message, an answer and a webhook, before anything is sent."""
