"""What a run tells others: messages to people, figures to other programs. Nothing here can hold training up."""
