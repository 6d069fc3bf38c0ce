"""One recommendation rule a file: History -> Proposal or None."""
