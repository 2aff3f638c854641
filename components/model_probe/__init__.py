"""ModelProbe: loads a model as a server does, in a process of its own, and asks it what a server will be asked."""
