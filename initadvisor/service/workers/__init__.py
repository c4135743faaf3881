"""Where untrusted files are read: a process a job, with limits, without a network, in a folder of its own."""
