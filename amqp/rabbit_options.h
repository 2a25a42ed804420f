/* The bus's own copy of [oslo_messaging_rabbit], with the overrides of a transport_url applied. */
#pragma once

#include "amqp/bus.h"

/*
 * Copies `options`; a query of `url` overrides the option of its name. EINVAL for a name oslo does
 * not know or a value of the wrong type. Returns owned.
 */
int rabbit_options_new(const struct rabbit_options *options, const struct transport_url *url,
                       struct rabbit_options **ret_options, struct error *err);

/* NULL-safe. */
void rabbit_options_free(struct rabbit_options *options);
