"""HTTP as both processes serve it: connections with deadlines and a limit, hosts and origins."""
