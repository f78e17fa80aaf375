"""Dashboards for Grafana and alert rules for Prometheus; `edgesdk fleet grafana` writes them out."""
