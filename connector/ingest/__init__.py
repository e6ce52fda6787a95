"""Documents into a cluster, as batch jobs: source -> documents -> passages -> vectors -> bulk writes."""
