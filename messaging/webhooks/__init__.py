"""Webhooks, from the HTTP request to the response: the request and its events are committed in between."""
