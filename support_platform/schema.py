from drf_spectacular.openapi import AutoSchema


class PlatformSchema(AutoSchema):
    pass
