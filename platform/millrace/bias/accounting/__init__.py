"""Population accounting: the rows of every group before and after each step, and which step moved a share."""
