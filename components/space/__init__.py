"""The Space Balls page: the scene, what is beside it, and the tools of both."""
