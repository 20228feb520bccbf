"""Every filter of the language by name, each with its rule and its example."""

from __future__ import annotations

from integrations.language import data_filters, sms_filters, text_filters
from integrations.language.registry import Filter

FILTERS: dict[str, Filter] = {**text_filters.FILTERS, **data_filters.FILTERS, **sms_filters.FILTERS}
