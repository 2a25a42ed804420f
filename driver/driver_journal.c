/* See driver_journal.h. */
#include "driver/driver_journal.h"

int driver_journal_write(const struct driver_journal *journal, json_t *entry, struct error *err)
{
    if (!entry)
        return error_nomem(err);
    int r = journal ? journal->write(journal->arg, entry, err) : 0;
    json_decref(entry);
    return r;
}

int driver_journal_freezing(const struct driver_journal *journal, struct error *err)
{
    int r = driver_journal_write(journal, json_pack("{s:s}", "step", "freeze"), err);
    return r == 0 && journal ? journal->frozen(journal->arg, true, err) : r;
}

void driver_journal_thawed(const struct driver_journal *journal)
{
    struct error none = ERROR_INIT; /* it fails only for a freeze */
    if (journal)
        (void)journal->frozen(journal->arg, false, &none);
}
