"""What is kept: models, user tables, the ordered log, migrations, transactions."""
