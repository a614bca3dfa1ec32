"""What is done about alerts: somebody is told, a picture is taken. Nothing here delays a look at the process."""
