"""In: what a service says is read, committed and answered; then it is filed, and its files are fetched."""
