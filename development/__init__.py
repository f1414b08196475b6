"""What starts the whole product on one machine: scripts/develop and the tests call it, the product never does."""
