"""The private wire between memtui and the agent."""
