FROM python:3.12-slim

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/patchbay PYTHONUNBUFFERED=1 MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=131072 PATCHBAY_DATA=/data PATCHBAY_MEDIA=/data/media
WORKDIR /patchbay
COPY requirements-production.txt .
RUN pip install --no-cache-dir --require-hashes -r requirements-production.txt
COPY manage.py pyproject.toml ./
COPY portal portal
COPY integrations integrations
COPY messaging messaging
RUN useradd --system --uid 10001 patchbay && install -d -o patchbay -m 0700 /data /data/media
USER patchbay
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=3s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
CMD ["granian", "--interface", "wsgi", "--host", "0.0.0.0", "--port", "8000", "--workers", "2", "--blocking-threads", "32", "--workers-kill-timeout", "10", "--log-config", "portal/granian.json", "portal.wsgi:application"]
