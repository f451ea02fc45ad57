# One image for web, shipper, workers, beat, Flower and the command line; docker-compose.yml says which is which.
# The target `front` is nginx with our configuration.

FROM python:3.11-slim-bookworm AS packages
COPY requirements.txt .
# Wheels only and every hash checked: no compiler, no surprise.
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --only-binary :all: -r requirements.txt

FROM python:3.11-slim-bookworm AS app
RUN groupadd --gid 10001 telltale \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin telltale \
    # A new volume takes over owner and mode of the folder it is mounted on.
    && install -d -o telltale -g telltale -m 0700 /var/lib/telltale \
    && install -d -o telltale -g telltale -m 0755 /run/telltale
COPY --from=packages /venv /venv
WORKDIR /srv/telltale
COPY app app
COPY config config
COPY tasks tasks
# Compiled here, because the container's file system is read-only.
RUN /venv/bin/python -m compileall -q app config tasks
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    TELLTALE_PYTHON=/venv/bin/python \
    TELLTALE_STATE_DIR=/var/lib/telltale \
    TELLTALE_UWSGI_SOCKET=/run/telltale/uwsgi.sock \
    TELLTALE_WEB_PROCESSES=4
USER telltale
CMD ["uwsgi", "--ini", "config/uwsgi.ini"]

FROM nginx:1.31-alpine AS front
COPY nginx/production.conf /etc/nginx/nginx.conf
# The image's entry point renders it into conf.d, replacing only variables that begin with TELLTALE_.
COPY nginx/telltale.conf.template /etc/nginx/templates/telltale.conf.template
ENV NGINX_ENVSUBST_FILTER=^TELLTALE_

# What `docker build .` makes without --target.
FROM app
