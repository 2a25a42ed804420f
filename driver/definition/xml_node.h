/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and writing libvirt's XML: what libxml2 leaves to its callers. Pure.
 *
 * The XML comes from libvirtd, but guests, tenants and images have had their hands in its strings:
 * it is parsed without network, entities or DTD, and its size is bounded.
 */
#pragma once

#include <libxml/tree.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

#define DOMAIN_XML_MAX_BYTES (4U << 20)

static inline void cleanup_free_xml_document(xmlDoc **document)
{
    xmlFreeDoc(*document);
}

#define cleanup_xml_document __attribute__((cleanup(cleanup_free_xml_document)))

/*
 * Parses a document whose root element has this name (NUL-terminated, borrowed). Returns it owned
 * (cleanup_xml_document). InternalError (EINVAL) naming what is wrong.
 */
int xml_node_parse(const char *xml, const char *root_name, xmlDoc **ret_document,
                   struct error *err);

/*
 * Parses a domain definition (NUL-terminated, borrowed): *ret_devices is its <devices>, borrowed
 * from the document, which is returned owned (cleanup_xml_document). InternalError (EINVAL) naming
 * what is wrong.
 */
int xml_node_parse_domain(const char *xml, xmlDoc **ret_document, xmlNode **ret_devices,
                          struct error *err);

/* error_set() for what a definition lacks: InternalError (EINVAL), "domain XML: <what>". */
int xml_node_bad_domain(struct error *err, const char *what);

/* True for an element called `name`. NULL is false. */
bool xml_node_is_element(const xmlNode *node, const char *name);

/* The first element called `name` from `node` on, along its siblings; NULL when there is none. */
xmlNode *xml_node_next_named(xmlNode *node, const char *name);

/* The first child called `name`; NULL when there is none or `parent` is NULL. */
xmlNode *xml_node_child_named(const xmlNode *parent, const char *name);

/* Adds an empty element; NULL when out of memory, which both take for a parent or node. */
xmlNode *xml_node_add_child(xmlNode *parent, const char *name);
void xml_node_set_attribute(xmlNode *node, const char *name, const char *value);

/* Copies an attribute; "" when it is absent or `node` is NULL. False when it does not fit. */
bool xml_node_copy_attribute(const xmlNode *node, const char *name, char *ret_text, size_t size);

/* Copies the text of a child; "" when there is none or `parent` is NULL. False when it does not
 * fit. */
bool xml_node_copy_child_text(const xmlNode *parent, const char *name, char *ret_text, size_t size);

/* True when `node` has the attribute with this value. NULL is false. */
bool xml_node_attribute_is(const xmlNode *node, const char *name, const char *expected);
