"""ModelPusher: makes a blessed model the newest version of a directory that servers look at, whole or not at all."""
