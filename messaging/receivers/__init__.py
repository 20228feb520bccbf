"""Events out: programs of organizations and accounts are told of texts and alerts, by signed requests."""
