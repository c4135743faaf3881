"""Jobs and reports in a database: SQLite with nothing to install, or PostgreSQL by URL."""
