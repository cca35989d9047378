"""A bank: transfers that a policy permits, refuses, or lets pass for a reason."""
