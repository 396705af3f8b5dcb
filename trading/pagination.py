from support_platform.pagination import KeysetPagination


class TimelinePagination(KeysetPagination):
    """Pages of a `queries.Timeline`: a cursor names the entry (instant, "kind:id")."""

    def _count(self, timeline):
        return timeline.count(self.max_total + 1)

    def _page(self, timeline, position):
        backward = position is not None and position.backward
        beyond = None
        if position is not None:
            kind, _, row_id = position.id.partition(":")
            beyond = position.value, kind, int(row_id)
        is_descending = self.ordering.startswith("-") != backward
        entries = timeline.entries(self.size + 1, beyond=beyond, descending=is_descending)
        return self.view.get_serializer(entries, many=True).data
