"""Programs as users start them: commands, benches, images, installs with other packages, other users."""
