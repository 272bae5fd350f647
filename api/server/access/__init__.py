"""Who may send requests: tokens, hosts and origins, deadlines, limits on connections."""
