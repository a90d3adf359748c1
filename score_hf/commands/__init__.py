"""The commands of `score-hf`. At their top they import nothing slow, so that help comes at once."""
