# SPDX-License-Identifier: Apache-2.0
"""A session of the administrator whose credentials are in the environment (env.sh)."""

import os

from keystoneauth1 import session
from keystoneauth1.identity import v3


def open_session():
    env = os.environ
    auth = v3.Password(
        auth_url=env["OS_AUTH_URL"], username=env["OS_USERNAME"], password=env["OS_PASSWORD"],
        project_name=env["OS_PROJECT_NAME"], user_domain_name=env["OS_USER_DOMAIN_NAME"],
        project_domain_name=env["OS_PROJECT_DOMAIN_NAME"])
    return session.Session(auth=auth)
