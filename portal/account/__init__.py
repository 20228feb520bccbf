"""What people do about themselves: signing in, sessions, second factors, passkeys, passwords, addresses."""
