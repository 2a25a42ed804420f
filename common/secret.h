/* Memory that held a token or a password is cleared before it is given back. */
#pragma once

/* explicit_bzero() + free(). NULL-safe. */
void secret_free(char *secret);
