"""What `algoperf new` writes: complete submissions, ready to run and to be edited."""
