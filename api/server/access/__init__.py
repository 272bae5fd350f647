"""Who may ask and how: tokens, hosts and origins, deadlines, and limits on connections."""
