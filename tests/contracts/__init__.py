"""Tests of what services and clients have agreed on."""
