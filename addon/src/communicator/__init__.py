"""EQ-1 Network: one way to talk to brokers, servers and machines, as protocol plug-ins behind two interfaces."""
