"""What buyers take with them: tickets with their codes, receipts, and dates for calendars."""
