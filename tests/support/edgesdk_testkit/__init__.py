"""What several test modules share: builders, real servers, small clients."""
