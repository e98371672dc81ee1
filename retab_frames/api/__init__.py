"""The Retab API over HTTP."""
