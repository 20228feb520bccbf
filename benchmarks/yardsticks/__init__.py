"""What one would write instead of Patchbay, for one provider and one organization."""
