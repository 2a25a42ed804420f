/* SPDX-License-Identifier: Apache-2.0 */
/* See xml_node.h. */
#include "driver/definition/xml_node.h"

#include <errno.h>
#include <libxml/parser.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"

int xml_node_bad_domain(struct error *err, const char *what)
{
    return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "domain XML: %s", what);
}

bool xml_node_is_element(const xmlNode *node, const char *name)
{
    return node && node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

xmlNode *xml_node_next_named(xmlNode *node, const char *name)
{
    while (node && !xml_node_is_element(node, name))
        node = node->next;
    return node;
}

xmlNode *xml_node_child_named(const xmlNode *parent, const char *name)
{
    return parent ? xml_node_next_named(parent->children, name) : NULL;
}

xmlNode *xml_node_add_child(xmlNode *parent, const char *name)
{
    return parent ? xmlNewChild(parent, NULL, (const xmlChar *)name, NULL) : NULL;
}

void xml_node_set_attribute(xmlNode *node, const char *name, const char *value)
{
    if (node)
        (void)xmlNewProp(node, (const xmlChar *)name, (const xmlChar *)value);
}

/* Takes the text. */
static bool copy_text(xmlChar *text, char *ret_text, size_t size)
{
    int n = snprintf(ret_text, size, "%s", text ? (const char *)text : "");
    bool fits = n >= 0 && (size_t)n < size;
    if (!fits)
        ret_text[0] = '\0';
    xmlFree(text);
    return fits;
}

bool xml_node_copy_attribute(const xmlNode *node, const char *name, char *ret_text, size_t size)
{
    return copy_text(node ? xmlGetNoNsProp(node, (const xmlChar *)name) : NULL, ret_text, size);
}

bool xml_node_copy_child_text(const xmlNode *parent, const char *name, char *ret_text, size_t size)
{
    const xmlNode *node = xml_node_child_named(parent, name);
    return copy_text(node ? xmlNodeGetContent(node) : NULL, ret_text, size);
}

bool xml_node_attribute_is(const xmlNode *node, const char *name, const char *expected)
{
    char value[64];
    return node && xml_node_copy_attribute(node, name, value, sizeof(value)) &&
           strcmp(value, expected) == 0;
}

static int check_root(const xmlDoc *document, const char *root_name, struct error *err)
{
    if (document->intSubset || document->extSubset)
        return xml_node_bad_domain(err, "a document type declaration does not belong here");
    if (xml_node_is_element(xmlDocGetRootElement(document), root_name))
        return 0;
    return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "domain XML: the root element is not <%s>",
                     root_name);
}

int xml_node_parse(const char *xml, const char *root_name, xmlDoc **ret_document, struct error *err)
{
    size_t length = strnlen(xml, DOMAIN_XML_MAX_BYTES + 1);
    if (length > DOMAIN_XML_MAX_BYTES)
        return xml_node_bad_domain(err, "it is larger than 4 MiB");
    xmlParserCtxt *parser = xmlNewParserCtxt();
    if (!parser)
        return error_nomem(err);
    xmlDoc *document = xmlCtxtReadMemory(parser, xml, (int)length, NULL, NULL,
                                         XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    xmlFreeParserCtxt(parser);
    if (!document)
        return xml_node_bad_domain(err, "it is not well-formed");
    int r = check_root(document, root_name, err);
    if (r < 0)
        xmlFreeDoc(document);
    else
        *ret_document = document;
    return r;
}

int xml_node_parse_domain(const char *xml, xmlDoc **ret_document, xmlNode **ret_devices,
                          struct error *err)
{
    cleanup_xml_document xmlDoc *document = NULL;
    int r = xml_node_parse(xml, "domain", &document, err);
    if (r < 0)
        return r;
    xmlNode *devices = xml_node_child_named(xmlDocGetRootElement(document), "devices");
    if (!devices)
        return xml_node_bad_domain(err, "there is no <devices>");
    *ret_devices = devices;
    *ret_document = TAKE_PTR(document);
    return 0;
}
