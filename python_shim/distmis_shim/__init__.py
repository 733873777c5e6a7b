"""The shim between distmis's TypeScript orchestrator and Ray: gangs of workers, bytes to and from their trainers."""
