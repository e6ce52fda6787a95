"""The drop-in gateway: what applications call instead of their cluster, `connector gateway`."""
